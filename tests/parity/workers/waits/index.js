// Sleeps and event waits.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describe } from '../describe.js';
import { driver, mark, outcome, pass } from '../driver.js';

/** Sleeps as told, and answers whether it took as long, and not much longer. */
export class Sleeps extends WorkflowEntrypoint {
  async run(event, step) {
    const { duration, least = 0 } = event.payload;
    const begun = await step.do('begin', async () => Date.now());
    const slept = await outcome(() => step.sleep('rest', duration));
    const ended = await step.do('end', async () => Date.now());
    return { slept, longEnough: ended - begun >= least, tooLong: ended - begun > least + 8_000 };
  }
}

/** Calls `step.sleep` with what it is given. */
export class SleepMisuse extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() => step.sleep(...event.payload.args));
  }
}

/** Sleeps until a time that is this far away. */
export class SleepsUntil extends WorkflowEntrypoint {
  async run(event, step) {
    const { away, asDate } = event.payload;
    const begun = await step.do('begin', async () => Date.now());
    const until = asDate ? new Date(begun + away) : begun + away;
    const slept = await outcome(() => step.sleepUntil('rest', until));
    const ended = await step.do('end', async () => Date.now());
    return { slept, longEnough: away < 0 || ended - begun >= away };
  }
}

/** `sleepUntil` with what is no time. */
export class SleepUntilMisuse extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() => step.sleepUntil('rest', event.payload.at));
  }
}

/** A time that has passed is an error of the instance where nobody catches it. */
export class SleepUntilPast extends WorkflowEntrypoint {
  async run(event, step) {
    await step.sleepUntil('rest', event.timestamp.getTime() - 1_000);
  }
}

/** A time that was in the future, and has passed when the code is replayed. */
export class SleepUntilReplayed extends WorkflowEntrypoint {
  async run(event, step) {
    const until = event.timestamp.getTime() + 1_500;
    await step.sleepUntil('rest', until);
    pass(event, 'slept');
    const { payload } = await step.waitForEvent('go on', { type: 'go' });
    return payload;
  }
}

/** Sleeps of different lengths at once. */
export class ParallelSleeps extends WorkflowEntrypoint {
  async run(event, step) {
    const order = [];
    const nap = async (ms) => {
      await step.sleep(`nap of ${ms}`, ms);
      order.push(ms);
    };
    await Promise.all([nap(2_500), nap(100), nap(1_200)]);
    return order;
  }
}

/** Several sleeps of one name. */
export class SameSleep extends WorkflowEntrypoint {
  async run(event, step) {
    for (const round of [1, 2, 3]) {
      await step.sleep('rest', 50);
      await step.do('round', async () => mark(event, `round ${round}`));
    }
    return 'done';
  }
}

/** A step against a sleep. */
export class SleepRace extends WorkflowEntrypoint {
  async run(event, step) {
    const work = step.do('work', async () => {
      await new Promise((resolve) => setTimeout(resolve, event.payload.workMs));
      return 'work';
    });
    const late = step.sleep('too late', event.payload.sleepMs).then(() => 'sleep');
    return await Promise.race([work, late]);
  }
}

/** A long sleep, with `finally` and `catch` around it. */
export class LongSleep extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      pass(event, 'goes to sleep');
      await step.sleep('long', event.payload.duration);
    } catch (error) {
      mark(event, `caught ${error}`);
    } finally {
      mark(event, 'finally');
    }
  }
}

/** Waits for one event. */
export class Waits extends WorkflowEntrypoint {
  async run(event, step) {
    const { type = 'go', timeout } = event.payload;
    pass(event, 'waits');
    const received = await step.waitForEvent('wait', timeout === undefined ? { type } : { type, timeout });
    const { payload, timestamp, type: seen, ...rest } = received;
    return { payload: describe(payload), isDate: timestamp instanceof Date, type: seen, others: Object.keys(rest) };
  }
}

/** Waits, and answers what became of it, and of a second wait of the same type. */
export class WaitsTwice extends WorkflowEntrypoint {
  async run(event, step) {
    const { timeout } = event.payload;
    const first = await outcome(async () => (await step.waitForEvent('first', { type: 'go', timeout })).payload);
    pass(event, 'first is over');
    const second = (await step.waitForEvent('second', { type: 'go' })).payload;
    return { first, second };
  }
}

/** Calls `step.waitForEvent` with what it is given. */
export class WaitMisuse extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() => step.waitForEvent(...event.payload.args));
  }
}

/** A wait that times out, which nobody catches. */
export class TimesOut extends WorkflowEntrypoint {
  async run(event, step) {
    await step.waitForEvent('never', { type: 'never', timeout: '1 second' });
  }
}

/** Buffered events, taken one after the other. */
export class TakesInOrder extends WorkflowEntrypoint {
  async run(event, step) {
    const taken = [];
    await step.do('begin', async () => mark(event, 'begun'));
    await step.sleep('let them come', 1_500);
    for (const type of event.payload.types) taken.push((await step.waitForEvent(`take ${type}`, { type })).payload);
    return taken;
  }
}

/** Waits of one type at once: who came first is served first. */
export class WaitsAtOnce extends WorkflowEntrypoint {
  async run(event, step) {
    const wait = async (name) => `${name}: ${(await step.waitForEvent(name, { type: 'go' })).payload}`;
    const all = Promise.all([wait('a'), wait('b'), wait('c')]);
    pass(event, 'waiting');
    return await all;
  }
}

/** An event or a timeout, whichever comes first, in a loop. */
export class Collects extends WorkflowEntrypoint {
  async run(event, step) {
    const collected = [];
    for (let index = 0; index < 3; index += 1) {
      try {
        collected.push((await step.waitForEvent('item', { type: 'item', timeout: '3 seconds' })).payload);
      } catch (error) {
        collected.push(error.message.includes('timed out') ? 'timeout' : error.message);
      }
      pass(event, `round ${index}`);
    }
    return collected;
  }
}

/** A race of an event and a step. */
export class EventRace extends WorkflowEntrypoint {
  async run(event, step) {
    const wait = step.waitForEvent('approval', { type: 'approve' }).then(({ payload }) => payload);
    const work = step.do('work', async () => 'work');
    const winner = await Promise.race([wait, work]);
    pass(event, 'raced');
    return { winner, approved: await wait };
  }
}

/** Each step fails once, with a sleep between. */
export class RetryAndSleep extends WorkflowEntrypoint {
  async run(event, step) {
    const done = [];
    for (const name of ['a', 'b']) {
      done.push(
        await step.do(name, { retries: { limit: 2, delay: 30, backoff: 'constant' } }, async ({ attempt }) => {
          mark(event, `${name} ${attempt}`);
          if (attempt < 3) throw new Error('again');
          return name;
        }),
      );
      await step.sleep(`after ${name}`, '1 second');
    }
    return done;
  }
}

export default driver();
