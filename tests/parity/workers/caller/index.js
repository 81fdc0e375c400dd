// A Worker that uses workflows of another one.

import { driver, statusOf } from '../driver.js';

export default driver({
  async remote(env, id) {
    const instance = await env.REMOTE.create({ id, params: { from: 'afar' } });
    let status;
    do status = await statusOf(instance);
    while (!['complete', 'errored'].includes(status.status));
    return status;
  },
  /** It is the same instance for both Workers, and its own Worker sees what it does. */
  async remoteEvents(env, id) {
    const instance = await env.REMOTE_RECEIVER.create({ id });
    await instance.sendEvent({ type: 'message', payload: 'from afar' });
    let status;
    do status = await statusOf(instance);
    while (!['complete', 'errored'].includes(status.status));
    return status;
  },
});
