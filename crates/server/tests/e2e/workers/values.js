import { WorkflowEntrypoint } from 'cloudflare:workers';

// What a Worker may do to the prototypes that an encoder uses.
const nothing = () => undefined;
const overwrite = () => {
  for (const key of ['push', 'pop', 'join', 'slice', 'filter', 'sort']) Array.prototype[key] = nothing;
  for (const key of ['replace', 'slice', 'charCodeAt', 'isWellFormed']) String.prototype[key] = nothing;
  Map.prototype.get = Map.prototype.has = Set.prototype.add = Set.prototype.has = nothing;
  RegExp.prototype.test = Date.prototype.toISOString = Object.prototype.toString = nothing;
  Object.defineProperty(Object.prototype, 'a', { set() { throw new Error('a setter of the prototype'); }, configurable: true });
};

export class Overwrites extends WorkflowEntrypoint {
  // Rich values after the prototypes have been overwritten, and what is left of the overwriting.
  async run(event, step) {
    overwrite();
    const rich = await step.do('rich', async () => {
      const value = { map: new Map([['k', new Date(5)]]), set: new Set([1n]), bytes: new Uint16Array([1, 2]), text: '\ud800', hole: [1, , 3] };
      Object.defineProperty(value, 'a', { value: /x/g, enumerable: true });
      return value;
    });
    await step.waitForEvent('wait', { type: 'go' });
    const own = Object.getOwnPropertyDescriptor(rich, 'a');
    return {
      size: rich.map.size, bytes: rich.bytes.length, source: own.value.source, holes: 1 in rich.hole, length: rich.hole.length,
      stillOverwritten: [].push === nothing && ''.slice === nothing,
    };
  }
}

export class Members extends WorkflowEntrypoint {
  // What JSON and plain copies lose of arrays and objects.
  async run(event, step) {
    const match = await step.do('match', async () => 'a match'.match(/(?<word>m\w+)/));
    const proto = await step.do('proto', async () => JSON.parse('{"__proto__": {"polluted": true}, "~__proto__": 2}'));
    await step.waitForEvent('wait', { type: 'go' });
    const isPlain = Object.getPrototypeOf(proto) === Object.prototype && proto.polluted === undefined;
    return { match: [match[0], match.index, match.groups.word, match.input], keys: Object.keys(proto), isPlain, length: match.length };
  }
}

export class Takes extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const event = await step.waitForEvent('wait', { type: 'go', timeout: '1 hour' });
    return [payload.byteLength, event.payload.byteLength];
  }
}

export class Gives extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const given = await step.do('gives', { retries: { limit: 1, delay: 1 } }, async () => new Uint8Array(payload.bytes));
    return given.byteLength;
  }
}

export class Echoes extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const given = await step.do('gives', async () => payload);
    const event = await step.waitForEvent('wait', { type: 'go', timeout: '1 hour' });
    return given === event.payload ? given : [given.length, event.payload.length];
  }
}

export default {
  // Creates an instance with so many bytes, and sends it as many.
  async fetch(request, env) {
    const bytes = Number(new URL(request.url).searchParams.get('bytes'));
    const told = (error) => `${error.name}: ${error.message}`;
    const instance = await env.Takes.create({ params: new Uint8Array(bytes) }).catch(told);
    if (typeof instance === 'string') {
      const small = await env.Takes.create({ params: new Uint8Array(1) });
      return Response.json([instance, await small.sendEvent({ type: 'go', payload: new Uint8Array(bytes) }).catch(told)]);
    }
    await instance.sendEvent({ type: 'go', payload: new Uint8Array(bytes) });
    return Response.json(instance.id);
  },
};
