// Answers like https://api.cloudflare.com/client/v4/ips, with addresses reserved for documentation.
export default {
	async fetch(request) {
		if (new URL(request.url).pathname !== '/client/v4/ips') {
			return Response.json({ success: false, errors: [{ code: 7003, message: 'Not Found' }] }, { status: 404 });
		}
		return Response.json({
			result: { ipv4_cidrs: ['192.0.2.0/24'], ipv6_cidrs: ['2001:db8::/32'], etag: 'stub' },
			success: true,
			errors: [],
			messages: [],
		});
	},
};
