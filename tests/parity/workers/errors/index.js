// Errors: what becomes of what user code throws, in steps and outside of them.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describe, describeError } from '../describe.js';
import { driver, mark, outcome } from '../driver.js';
import { FAILURES } from './failures.js';

const ONCE = { retries: { limit: 0, delay: 0 } };
const TWICE = { retries: { limit: 1, delay: 10 } };

/** A step throws, and nobody catches it. */
export class StepThrows extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('throws', TWICE, async ({ attempt }) => {
      mark(event, `attempt ${attempt}`);
      throw FAILURES[event.payload.what]();
    });
  }
}

/** A step throws, and what is caught is looked at. */
export class StepThrowsCaught extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      return await step.do('throws', TWICE, async ({ attempt }) => {
        mark(event, `attempt ${attempt}`);
        throw FAILURES[event.payload.what]();
      });
    } catch (error) {
      const { code, detail, cause } = error;
      return { caught: describeError(error), isError: error instanceof Error, ...describe({ code, detail, cause }) };
    }
  }
}

/** `run` throws, outside of steps. */
export class RunThrows extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('first', async () => mark(event, 'first'));
    mark(event, 'throws');
    throw FAILURES[event.payload.what]();
  }
}

/** A caught failure decides which way to go, before and after a replay. */
export class Branches extends WorkflowEntrypoint {
  async run(event, step) {
    let way = 'none';
    try {
      await step.do('pay', TWICE, async ({ attempt }) => {
        mark(event, `pay ${attempt}`);
        throw new RangeError(`declined ${attempt}`);
      });
    } catch (error) {
      way = error.name === 'RangeError' && error.message === 'declined 2' ? 'compensate' : `lost: ${error.name}: ${error.message}`;
    }
    const done = await step.do(way, async () => {
      mark(event, way);
      return way;
    });
    const { payload } = await step.waitForEvent('go on', { type: 'go' });
    return { way, done, payload };
  }
}

/** A failure that nobody waits for. */
export class Unawaited extends WorkflowEntrypoint {
  async run(event, step) {
    step.do('fails', ONCE, async () => {
      mark(event, 'fails');
      throw new Error('nobody looks');
    });
    await step.sleep('a while', 300);
    return 'done';
  }
}

/** One of several steps fails, and `Promise.all` with it. */
export class AllWithFailure extends WorkflowEntrypoint {
  async run(event, step) {
    const part = (name, fails) =>
      step.do(name, ONCE, async () => {
        if (fails) throw new RangeError(`${name} failed`);
        return name;
      });
    await Promise.all([part('a', false), part('b', true), part('c', false)]);
  }
}

/** Thrown in a `finally` after a failure. */
export class Finally extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      await step.do('fails', ONCE, async () => {
        throw new Error('first');
      });
    } finally {
      await step.do('clean up', async () => mark(event, 'cleaned up'));
    }
  }
}

/** The error of a step is thrown again, as it is or wrapped. */
export class Rethrows extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      await step.do('fails', ONCE, async () => {
        throw new SyntaxError('bad input');
      });
    } catch (error) {
      if (event.payload.wrapped) throw new Error(`while reading: ${error.message}`, { cause: error });
      throw error;
    }
  }
}

/** Results that no clone carries. */
const POISON = {
  function: () => () => 1,
  symbol: () => Symbol('s'),
  'function-within': () => ({ a: 1, f: () => 1 }),
  promise: () => ({ later: Promise.resolve(1) }),
  'weak-map': () => new WeakMap(),
  getter: () => ({
    get secret() {
      throw new TypeError('do not look');
    },
  }),
};

/** A step's result cannot be stored. */
export class Poison extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('poison', TWICE, async ({ attempt }) => {
      mark(event, `attempt ${attempt}`);
      return POISON[event.payload.what]();
    });
    return 'went on';
  }
}

/** The same, with a `catch` around it. */
export class PoisonCaught extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() =>
      step.do('poison', TWICE, async ({ attempt }) => {
        mark(event, `attempt ${attempt}`);
        return POISON[event.payload.what]();
      }),
    );
  }
}

/** The output of the instance cannot be stored. */
export class PoisonOutput extends WorkflowEntrypoint {
  async run(event) {
    return POISON[event.payload.what]();
  }
}

export default driver();
