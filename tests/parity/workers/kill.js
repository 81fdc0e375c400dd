// What a runner that kills the server writes anew before each of its two starts.

/** Cases that say themselves where the kill comes: their instances are not held. @type {string[]} */
export const unheld = [];

/** What instances had noted before the kill. @type {Record<string, string[]>} */
export const journals = {};
