/** Event data for tests, taken from the golden samples in `schemas/samples`, so that it always fits the published schemas. */
import { readFileSync } from 'node:fs'
import type { TopicName } from '@portolan/schemas/topics.ts'

/** Data of a published event version, with `changes` to its top-level fields. Throws when there is no such sample. */
export function sampleData(
  topic: TopicName,
  type: string,
  changes: Readonly<Record<string, unknown>> = {},
  version = 1,
): Record<string, unknown> {
  const url = new URL(`../../../schemas/samples/${topic}/${type}.v${version}.json`, import.meta.url)
  return { ...JSON.parse(readFileSync(url, 'utf8')), ...changes }
}
