import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";
import { Buffer } from "node:buffer";

import add from "./add.wasm";
import logo from "./logo.bin";
import terms from "./terms.txt";
import { refuse } from "./refuse";

type Order = { item?: string; waits?: boolean; fails?: boolean; steps?: number };

export class Checkout extends WorkflowEntrypoint<Env, Order> {
  async run(event: WorkflowEvent<Order>, step: WorkflowStep) {
    const item = event.payload.item ?? "nothing";
    const stock = await step.do(
      "reserve",
      { retries: { limit: 2, delay: "1 second", backoff: "linear" }, timeout: "1 minute" },
      async () => ({ left: await (await this.env.STOCK.fetch(`https://stock/${item}`)).text(), secret: this.env.API_KEY }),
    );
    for (let index = 0; index < (event.payload.steps ?? 0); index += 1) {
      await step.do("count", async () => index);
    }
    await step.sleep("settle", 10);
    if (event.payload.waits) {
      await step.waitForEvent("payment", { type: "paid", timeout: "1 hour" });
    }
    await step.do("ship", async () => `${item} shipped`);
    return stock;
  }
}

export class Refund extends WorkflowEntrypoint<Env, Order> {
  async run(event: WorkflowEvent<Order>, step: WorkflowStep) {
    await step.do("pay back", async () => "paid back", { rollback: async () => {} });
    await step.do("note", { retries: { limit: 1, delay: 10, backoff: "constant" } }, async () => refuse("no such order"));
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/throw") refuse("thrown on purpose");
    const sum = new WebAssembly.Instance(add).exports.add as (a: number, b: number) => number;
    return Response.json({
      currency: env.CURRENCY,
      rates: env.RATES,
      secret: env.API_KEY ?? null,
      extra: env.EXTRA ?? null,
      stock: await (await env.STOCK.fetch("https://stock/tea")).text(),
      terms,
      logo: Buffer.from(logo).toString("hex"),
      sum: sum(2, 3),
    });
  },
};

interface Env {
  CHECKOUT: Workflow;
  REFUND: Workflow;
  DB: D1Database;
  STOCK: Fetcher;
  CURRENCY: string;
  RATES: Record<string, number>;
  API_KEY?: string;
  EXTRA?: string;
}
