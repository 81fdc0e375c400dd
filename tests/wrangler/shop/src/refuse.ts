/** Fails, in a file of its own, so that stacks can lead to it. */
export function refuse(reason: string): never {
  throw new Error(reason);
}
