// The package's public names; index.d.ts describes them.
import { Consumer } from "./consumer.js";
import { Subscriber } from "./subscriber.js";

/**
 * Listens live.
 * @param {import("../index.d.ts").SubscribeOptions} [options]
 */
export const subscribe = (options) => new Subscriber(options);

/**
 * Durable: every event at least once.
 * @param {string} name
 * @param {import("../index.d.ts").ConsumeOptions} [options]
 */
export const consume = (name, options) => new Consumer(name, options);

export { Event } from "./event.js";
export { request } from "./link.js";
export { Consumer, Subscriber };
export * from "./errors.js";
