// Starts one Miniflare with the Workers that standard input names, says where it listens, and ends when standard
// input ends: so it cannot outlive whoever started it. What is compared, and how, is decided elsewhere.
//
// Input: one line of JSON, `{"workers": [{"script": "<bundled module>", "config": <its wrangler.json>}]}`.
// Output: one line, `ready <port>`.

import { createInterface } from 'node:readline';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';

const lines = createInterface({ input: process.stdin });
const first = await new Promise((resolve) => lines.once('line', resolve));
const { workers } = JSON.parse(first);

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.WARN),
    workers: workers.map(workerOptions),
  }),
);
const url = await miniflare.ready;
console.log(`ready ${url.port}`);
await new Promise((resolve) => lines.once('close', resolve));
await miniflare.dispose();

/** @param {{ script: string, config: any }} worker */
function workerOptions({ script, config }) {
  return {
    name: config.name,
    modules: [{ type: 'ESModule', path: `${config.name}.mjs`, contents: script }],
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags ?? [],
    routes: [`${config.name}.localhost/*`],
    bindings: config.vars ?? {},
    workflows: Object.fromEntries((config.workflows ?? []).map(workflowBinding)),
    workflowExports: Object.fromEntries(Object.entries(config.exports ?? {}).map(workflowExport)),
  };
}

/** @param {any} workflow one entry of `workflows` in a wrangler configuration */
function workflowBinding({ binding, name, class_name, script_name, limits }) {
  const options = { name, className: class_name };
  if (script_name !== undefined) options.scriptName = script_name;
  if (limits?.steps !== undefined) options.stepLimit = limits.steps;
  return [binding, options];
}

/** @param {[string, any]} entry one entry of `exports` in a wrangler configuration: a class and what it is */
function workflowExport([className, { name, limits }]) {
  return [className, { name, stepLimit: limits?.steps }];
}
