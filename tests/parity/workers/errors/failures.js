// What user code throws in these cases, by name.

import { NonRetryableError } from 'cloudflare:workflows';

class PaymentError extends Error {
  constructor(message) {
    super(message);
    this.name = 'PaymentError';
    this.code = 402;
  }
}

/** An `Error` with other members. @param {Record<string, unknown>} members @param {string} message */
function errorWith(members, message) {
  return Object.assign(new Error(message), members);
}

/** @type {Record<string, () => unknown>} what is thrown */
export const FAILURES = {
  error: () => new Error('plain'),
  'no-message': () => new Error(),
  'type-error': () => new TypeError('not a number'),
  'custom-class': () => new PaymentError('no money'),
  'custom-name': () => errorWith({ name: 'Custom' }, 'own name'),
  'with-cause': () => new Error('outer', { cause: new Error('inner') }),
  'with-members': () => errorWith({ code: 'E1', detail: { a: 1 } }, 'members'),
  aggregate: () => new AggregateError([new Error('one'), new Error('two')], 'several'),
  'long-message': () => new Error('m'.repeat(5_000)),
  'unicode-message': () => new Error('größer 🚀\nnext line'),
  text: () => 'just text',
  number: () => 5,
  nothing: () => undefined,
  null: () => null,
  object: () => ({ code: 5 }),
  'error-like': () => ({ name: 'Odd', message: 'like an error' }),
  'non-retryable': () => new NonRetryableError('never again'),
  'non-retryable-empty': () => new NonRetryableError(''),
  'non-retryable-named': () => new NonRetryableError('with a name', 'PaymentDeclined'),
  'non-retryable-by-name': () => errorWith({ name: 'NonRetryableError' }, 'only the name'),
  'non-retryable-by-message': () => new Error('NonRetryableError: in the message'),
};
