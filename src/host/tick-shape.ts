import { executionAsyncResource } from 'node:async_hooks'

const kept: object[] = []

/**
 * Keeps one of the objects that process.nextTick makes. V8 makes them at once while any of that shape is alive; a
 * collection that finds none has every later one made by a slow path, for good: a tenth of a cached answer on Node 20, a
 * seventh on 24. To be called before the first collection, which an idle process has no such object at.
 */
export function keepTickShape(): void {
  // A hook would show it, too, and slow down every promise from then on.
  process.nextTick(() => kept.push(executionAsyncResource()))
}
