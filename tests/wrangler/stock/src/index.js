export default {
  fetch(request) {
    return new Response(`3 of ${new URL(request.url).pathname.slice(1)}`);
  },
};
