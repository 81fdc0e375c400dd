import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

export class Configs extends WorkflowEntrypoint {
  // Tries configurations; says of each whether it was taken.
  async run({ payload }, step) {
    const taken = [];
    for (const config of payload) {
      try {
        await step.do('s', config, async () => {});
        taken.push(true);
      } catch (error) {
        taken.push(`${error.name}: ${error.message}`);
      }
    }
    return taken;
  }
}

const DELAYS = {
  throws: () => {
    throw new TypeError('broken');
  },
  hangs: () => new Promise(() => {}),
  invalid: () => 'soon',
  works: async ({ ctx, error }) => `${ctx.attempt * error.message.length} ms`,
};

export class Delays extends WorkflowEntrypoint {
  async run({ payload }, step) {
    let tries = 0;
    try {
      const retries = { limit: 2, delay: DELAYS[payload], backoff: 'constant' };
      return await step.do('s', { retries }, async ({ config }) => {
        tries += 1;
        if (tries === 1) throw new Error('four');
        return [tries, 'delay' in config.retries];
      });
    } catch (error) {
      return [tries, `${error.name}: ${error.message}`];
    }
  }
}

export class Refuses extends WorkflowEntrypoint {
  // Throws what must not be retried, caught or not.
  async run({ payload }, step) {
    let tries = 0;
    const thrown = {
      plain: () => new NonRetryableError('told'),
      empty: () => new NonRetryableError(''),
      named: () => new NonRetryableError('told', 'Other'),
      prefix: () => new Error('NonRetryableError: told'),
      name: () => Object.assign(new Error('told'), { name: 'NonRetryableError' }),
      text: () => 'just text',
    };
    const config = { retries: { limit: 1, delay: 1 } };
    const failing = step.do('s', config, async () => {
      tries += 1;
      throw thrown[payload.what]();
    });
    if (!payload.caught) return await failing;
    try {
      return await failing;
    } catch (error) {
      return `${tries} ${error.name}: ${error.message}`;
    }
  }
}

export default {};
