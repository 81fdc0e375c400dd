// Turns user values into what travels outside JavaScript, and back. JSON only.

/**
 * @param {unknown} value
 * @returns {{ json: string | undefined, exact?: string }}
 */
export function encodeValue(value) {
  return { json: JSON.stringify(value) };
}

/**
 * @param {string | undefined} json
 * @param {string | undefined} _exact
 * @returns {unknown}
 */
export function decodeValue(json, _exact) {
  return json === undefined ? undefined : JSON.parse(json);
}
