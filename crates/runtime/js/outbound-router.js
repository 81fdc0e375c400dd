// The way out of user code in development, when host names are mapped to Workers of this server: a request
// to such a name goes to the server, everything else to the network. Bodies stream and WebSocket upgrades
// pass, because requests and responses are handed on untouched. Raw TCP (`connect()`) is piped to the network.

export default {
  /** @param {Request} request @param {any} env */
  fetch(request, env) {
    const { host, hostname } = new URL(request.url);
    const route = env.ROUTES[host] ?? env.ROUTES[hostname] ?? 'INTERNET';
    return env[route].fetch(request);
  },

  /** @param {any} socket @param {any} env */
  async connect(socket, env) {
    const { localAddress } = await socket.opened;
    const onward = env.INTERNET.connect(localAddress);
    await Promise.all([socket.readable.pipeTo(onward.writable), onward.readable.pipeTo(socket.writable)]);
  },
};
