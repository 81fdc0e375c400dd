// The duration grammar of Cloudflare Workflows, which is that of npm's `itty-time` 2: a number or a numeric string is milliseconds,
// else `<value> <unit>[s]`. An unknown unit counts as milliseconds, as there.

import { NativeRegExp, RegExpExec, ObjectFreeze, HasOwn } from './shim-builtins.js';

/** Longest sleep and longest event wait. */
export const DURATION_MS_MAX = 365 * 86_400_000;

const PATTERN = new NativeRegExp('^([^ ]+) +(\\w\\w*?)s?$');

/** @type {Readonly<Record<string, number>>} */
const UNIT_MS = ObjectFreeze({
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 2_592_000_000,
  year: 31_557_600_000,
});

/**
 * Milliseconds of a duration.
 * @param {unknown} duration number or text
 * @returns {number} NaN for what is no duration
 */
export function durationMs(duration) {
  if (typeof duration === 'number') return duration;
  if (typeof duration !== 'string') return NaN;
  const plain = +duration;
  if (plain === plain) return plain;
  const match = RegExpExec(PATTERN, duration);
  if (match === null) return NaN;
  return +match[1] * (HasOwn(UNIT_MS, match[2]) ? UNIT_MS[match[2]] : 1);
}
