// Asks the pinned unenv and its Cloudflare preset what they make of Node's modules at many dates and flags, and writes it as
// JSON: the fixture that the server's own tables are compared with. `node tools/node-compat.mjs <node_modules>`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const load = async (name) => import(pathToFileURL(join(process.argv[2], name, 'dist/index.mjs')));
const { defineEnv } = await load('unenv');
const { getCloudflarePreset } = await load('@cloudflare/unenv-preset');

const FEATURES = [
	'http_modules', 'http_server_modules', 'http2_module', 'os_module', 'fs_module', 'process_v2', 'console_module',
	'vm_module', 'cluster_module', 'domain_module', 'punycode_module', 'trace_events_module', 'wasi_module', 'dgram_module',
	'inspector_module', 'sqlite_module', 'stream_wrap_module', 'child_process_module', 'perf_hooks_module',
	'readline_module', 'repl_module', 'tty_module', 'v8_module', 'worker_threads_module',
];
const ITERABLE = 'fetch_iterable_type_support';
const ADJUSTED = 'fetch_iterable_type_support_override_adjustment';
const BOUNDARIES = [
	'2024-09-23', '2025-08-15', '2025-09-01', '2025-09-15', '2025-09-21', '2025-10-01', '2025-12-04', '2026-01-15',
	'2026-01-29', '2026-02-19', '2026-03-17', '2026-08-04',
];
const dayBefore = (date) => new Date(Date.parse(date) - 86_400_000).toISOString().slice(0, 10);

const [FIRST, LAST] = ['2024-09-23', '2026-11-17'];
const inputs = [
	...BOUNDARIES.flatMap((date) => [[dayBefore(date), []], [date, []]]),
	...FEATURES.flatMap((name) => [[FIRST, [`enable_nodejs_${name}`]], [LAST, [`disable_nodejs_${name}`]]]),
	[FIRST, [ITERABLE, ADJUSTED, 'enable_nodejs_process_v2']],
	[FIRST, [ITERABLE, 'enable_nodejs_process_v2']],
	[LAST, [`no_${ITERABLE}`]],
	[LAST, [`no_${ADJUSTED}`]],
	['2026-01-20', [ITERABLE]],
	[FIRST, ['enable_nodejs_http_modules', 'enable_nodejs_http_server_modules']],
];

const cases = inputs.map(([date, flags]) => {
	const preset = getCloudflarePreset({ compatibilityDate: date, compatibilityFlags: flags });
	const { alias, inject, polyfill, external } = defineEnv({ presets: [preset], npmShims: true }).env;
	// wrangler leaves this one to the package itself.
	delete alias.debug;
	const native = Object.keys(alias).filter((name) => external.includes(alias[name])).sort();
	return { date, flags, native, globals: inject, effects: polyfill, alias };
});

// Of two names, `fs` and `node:fs`, one is written; what is native everywhere is written once.
const always = cases[0].native.filter((name) => cases.every((one) => one.native.includes(name)));
const polyfills = Object.fromEntries(
	Object.keys(cases[0].alias).sort().filter((name) => !always.includes(name))
		.map((name) => [name, cases.map((one) => one.alias[name]).find((file) => /^(unenv|@)/.test(file))]),
);
for (const { alias, native } of cases) {
	for (const name of Object.keys(alias)) {
		const prefixed = alias[`node:${name}`];
		const agree = prefixed === undefined || prefixed === alias[name] || prefixed === `node:${alias[name]}`;
		const file = native.includes(name) || alias[name] === polyfills[name];
		if (!agree || !file) throw new Error(`${name}: ${alias[name]}, ${prefixed}`);
	}
}
const short = (names) => names.filter((name) => !name.startsWith('node:') || !names.includes(name.slice(5)));
const lines = cases.map(({ date, flags, native, globals, effects }) => {
	const since = short(native.filter((name) => !always.includes(name)));
	return JSON.stringify({ date, flags, native: since, globals, effects });
});
const head = [['always', short(always)], ['polyfills', polyfills]].map(([key, value]) => `"${key}":${JSON.stringify(value)}`);
process.stdout.write(`{\n${head.join(',\n')},\n"cases":[\n${lines.join(',\n')}\n]}\n`);
