import {
  WorkflowEntrypoint,
  WorkflowEvent,
  WorkflowStep,
} from 'cloudflare:workers';

type Env = {
  DB: D1Database;
  ONBOARDING_WORKFLOW: Workflow;
};

type OnboardingParams = {
  userId: string;
  email: string;
  plan: string;
};

export class OnboardingWorkflow extends WorkflowEntrypoint<Env, OnboardingParams> {
  async run(event: WorkflowEvent<OnboardingParams>, step: WorkflowStep) {
    const { userId, email, plan } = event.payload;

    // Step 1: Create default resources
    const resources = await step.do('create-default-resources', {
      retries: { limit: 3, delay: '5 seconds', backoff: 'exponential' },
      timeout: '30 seconds',
    }, async () => {
      const db = this.env.DB;
      // Create default project, settings, etc.
      await db.prepare(
        'INSERT INTO Project (id, name, orgId) VALUES (?, ?, ?)'
      ).bind(crypto.randomUUID(), 'My First Project', userId).run();

      return { projectCreated: true };
    });

    // Step 2: Send welcome email
    await step.do('send-welcome-email', {
      retries: { limit: 3, delay: '10 seconds' },
      timeout: '15 seconds',
    }, async () => {
      await fetch('https://api.resend.com/emails', {
        method: 'POST',
        headers: {
          'Authorization': `Bearer ${this.env.RESEND_API_KEY}`,
          'Content-Type': 'application/json',
        },
        body: JSON.stringify({
          to: email,
          subject: 'Welcome!',
          html: '<h1>Welcome to our platform</h1>',
        }),
      });
    });

    // Step 3: Set up billing (if paid plan)
    if (plan !== 'free') {
      await step.do('setup-billing', {
        retries: { limit: 2, delay: '30 seconds' },
        timeout: '60 seconds',
      }, async () => {
        // Create Stripe customer and subscription
        // ...
      });
    }

    // Step 4: Mark onboarding complete
    await step.do('mark-complete', async () => {
      const db = this.env.DB;
      await db.prepare(
        'UPDATE AuthIdentity SET onboardingComplete = 1 WHERE id = ?'
      ).bind(userId).run();
    });

    return { success: true, userId };
  }
}

// external-processes/onboarding/src/index.ts (continued)
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);

    // Trigger a new workflow instance
    if (url.pathname === '/trigger' && request.method === 'POST') {
      const params = await request.json() as OnboardingParams;

      const instance = await env.ONBOARDING_WORKFLOW.create({
        params,
      });

      return Response.json({
        id: instance.id,
        status: 'started',
      });
    }

    // Check workflow status
    if (url.pathname.startsWith('/status/')) {
      const instanceId = url.pathname.split('/status/')[1];
      const instance = await env.ONBOARDING_WORKFLOW.get(instanceId);
      const status = await instance.status();

      return Response.json({
        id: instanceId,
        status: status.status, // 'running' | 'complete' | 'errored'
        output: status.output,
        error: status.error,
      });
    }

    return new Response('Not Found', { status: 404 });
  },
};
