// Code that misbehaves, beside code that must not notice.
import { abortIsolate, WorkflowEntrypoint } from 'cloudflare:workers';
import nodeProcess from 'node:process';

// Before anything runs: overwrite what others rely on.
const nothing = () => {
  throw new Error('overwritten');
};
const { stringify } = JSON;
if (OVERWRITES) {
  for (const name of ['Map', 'Set', 'WeakMap', 'Date', 'RegExp', 'WebSocket', 'queueMicrotask', 'structuredClone']) globalThis[name] = nothing;
  JSON.parse = JSON.stringify = nothing;
  Array.prototype.push = Array.prototype.map = Array.prototype.join = nothing;
  Map.prototype = Object.prototype.hasOwnProperty = Object.keys = Object.entries = nothing;
  Promise.all = Promise.race = nothing;
}

let ticks = 0;
let released = false;
const once = { retries: { limit: 0, delay: 0 } };

export class Neighbour extends WorkflowEntrypoint {
  // Runs from before the hostile code until after it.
  async run(event, step) {
    const first = await step.do('first', async () => 1);
    const second = await step.do('second', async () => {
      while (!released) await scheduler.wait(10);
      return 2;
    });
    await step.sleep('rest', 10);
    return [first, second, await step.do('third', async () => 3)];
  }
}

export class Slow extends WorkflowEntrypoint {
  // Is in the middle of a step when its worker is stopped.
  async run({ payload }, step) {
    return await step.do('slow', async () => {
      await scheduler.wait(payload.ms);
      return 'done';
    });
  }
}

export class LeaksTimers extends WorkflowEntrypoint {
  async run(event, step) {
    const tick = () => (ticks += 1);
    setInterval(tick, 5);
    for (let i = 0; i < 100; i += 1) setTimeout(tick, 50 + i);
    await step.do('leak', async () => {
      setInterval(tick, 5);
    });
    return 'done';
  }
}

export class Aborts extends WorkflowEntrypoint {
  async run({ payload }, step) {
    if (payload.inStep) await step.do('abort', once, async () => this.ctx.abort('enough'));
    this.ctx.abort(new RangeError('enough'));
    return 'never';
  }
}

export class Exits extends WorkflowEntrypoint {
  async run({ payload }, step) {
    return await step.do('exit', once, async () => {
      if (payload.imported) nodeProcess.exit(1);
      globalThis.process.exit(1);
    });
  }
}

const POISON = {
  function: () => () => {},
  symbol: () => Symbol('s'),
  getter: () => ({ get a() { throw new TypeError('poison getter'); } }),
  proxy: () => new Proxy({}, { ownKeys() { throw new TypeError('poison proxy'); } }),
  toJSON: () => ({ toJSON() { throw new TypeError('poison toJSON'); } }),
  nested: () => ({ a: [{ b: () => {} }] }),
  promise: () => ({ a: new Promise(() => {}) }),
  proto: () => JSON.parse('{"__proto__": {"polluted": true}}'),
  thrownGetter: () => {
    throw { get message() { throw new Error('no message for you'); }, toString() { throw new Error('nor a text'); } };
  },
  thrownProxy: () => {
    throw new Proxy(new Error('x'), { get() { throw new Error('poison error'); } });
  },
  thrownNothing: () => {
    throw undefined;
  },
};

export class Poison extends WorkflowEntrypoint {
  async run({ payload }, step) {
    return await step.do('poison', once, async () => POISON[payload.kind]());
  }
}

export class PoisonOutput extends WorkflowEntrypoint {
  async run({ payload }) {
    return POISON[payload.kind]();
  }
}

export class Odd extends WorkflowEntrypoint {
  async run(event, step) {
    const cycle = { name: 'cycle' };
    cycle.self = cycle;
    const big = await step.do('big', async () => 2n ** 70n);
    const ring = await step.do('ring', async () => cycle);
    const deep = await step.do('deep', async () => {
      let value = 0;
      for (let i = 0; i < 500; i += 1) value = [value];
      return value;
    });
    const lone = await step.do('lone \ud800', async () => '\ud800');
    let depth = 0;
    for (let value = deep; Array.isArray(value); value = value[0]) depth += 1;
    return [big === 2n ** 70n, ring.self === ring, depth, lone.charCodeAt(0)];
  }
}

export class Loops extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('loop', async () => {
      for (;;);
    });
  }
}

export class Crashes extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('crash', async () => abortIsolate('on purpose'));
  }
}

export class Unawaited extends WorkflowEntrypoint {
  // Rejections that nobody looks at, and steps that nobody waits for.
  async run(event, step) {
    Promise.reject(new Error('nobody looks'));
    step.do('unawaited', once, async () => {
      throw new Error('nobody waits');
    });
    setTimeout(() => {
      throw new Error('in a timer');
    }, 1);
    return await step.do('goes on', async () => {
      await scheduler.wait(30);
      return 'fine';
    });
  }
}

export class Prints extends WorkflowEntrypoint {
  async run({ instanceId }, step) {
    console.log('run of', instanceId);
    await Promise.all(
      ['a', 'b'].map((name) =>
        step.do(name, async () => {
          console.warn(`${name} before`);
          await scheduler.wait(5);
          console.error(`${name} after`, { deep: [1] });
        }),
      ),
    );
  }
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/release') released = true;
    return new Response(stringify(ticks), { headers: { 'content-type': 'application/json' } });
  },
};
