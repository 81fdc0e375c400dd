// Answers like https://api.resend.com and sends nothing; the mail is in the log.
export default {
	async fetch(request) {
		const { pathname } = new URL(request.url);
		if (request.method !== 'POST' || pathname !== '/emails') {
			return Response.json({ statusCode: 404, name: 'not_found', message: 'Not Found' }, { status: 404 });
		}
		if (!request.headers.get('authorization')?.startsWith('Bearer ')) {
			return Response.json({ statusCode: 401, name: 'missing_api_key', message: 'Missing API Key' }, { status: 401 });
		}
		const mail = await request.json();
		console.log(`mail to ${mail.to}: ${mail.subject}`);
		return Response.json({ id: crypto.randomUUID() });
	},
};
