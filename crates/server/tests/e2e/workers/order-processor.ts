// What `cruz new workflow order-processor` makes, in our words: two of the three imported names are types only.
import { WorkflowEntrypoint, WorkflowEvent, WorkflowStep } from 'cloudflare:workers';

export interface Env {
  ORDERPROCESSOR: Workflow;
}

type OrderProcessorParams = {
  itemId: string;
};

export class OrderProcessor extends WorkflowEntrypoint<Env, OrderProcessorParams> {
  async run(event: WorkflowEvent<OrderProcessorParams>, step: WorkflowStep) {
    const { itemId } = event.payload;

    const validated = await step.do('validate-input', async () => {
      return { valid: true, itemId };
    });

    if (!validated.valid) {
      return { success: false, error: 'Validation failed' };
    }

    await step.do('process', async () => {
      return { processed: true };
    });

    await step.do('finalize', async () => {});

    return { success: true, itemId };
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);

    if (url.pathname === '/health') {
      return Response.json({ status: 'ok', workflow: 'order-processor' });
    }

    if (url.pathname === '/trigger' && request.method === 'POST') {
      const params = (await request.json()) as OrderProcessorParams;
      const instance = await env.ORDERPROCESSOR.create({ params });
      return Response.json({ id: instance.id });
    }

    if (url.pathname.startsWith('/status/')) {
      const id = url.pathname.split('/status/')[1];
      const instance = await env.ORDERPROCESSOR.get(id);
      const status = await instance.status();
      return Response.json({ id, status });
    }

    return Response.json({ message: 'OrderProcessor workflow. POST /trigger to start.' });
  },
} satisfies ExportedHandler<Env>;
