// Plays the server's side of streams: what it answers is in the first byte of what it is sent.
const ANSWERS = { 1: 507, 2: 500, 3: 409 };

export default {
  async fetch(request) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const status = ANSWERS[bytes[0]] ?? 200;
    return new Response(status === 200 ? '{"stream":9}' : 'no', { status });
  },
};
