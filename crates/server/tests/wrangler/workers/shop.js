import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Checkout extends WorkflowEntrypoint {}
export class Refund extends WorkflowEntrypoint {}
export default { fetch: () => new Response('open') };
