// The one part of Node's interface that the shim uses; workerd has it with the flag `nodejs_als` or `nodejs_compat`.
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<T> {
    static snapshot(): (callback: Function, ...args: unknown[]) => any;
    run<R>(store: T, callback: (...args: any[]) => R, ...args: unknown[]): R;
    getStore(): T | undefined;
  }
}
