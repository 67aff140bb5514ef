import type { ReadSide, Store } from './world.ts'

/**
 * Partitions, as `<topic>/<partition>`, in which a reader does not stand at the end of this generation of the log; of topics that it has read
 * anything of. What it read of an older generation does not count: after a restore that held other events.
 */
export function behindIn(
  { heads, generation }: Pick<Store, 'heads' | 'generation'>,
  own: readonly Omit<ReadSide['checkpoints'][number], 'projection'>[],
): string[] {
  const topics = new Set(own.map(({ topic }) => topic))
  return heads.flatMap(({ topic, partition, position }) => {
    const at = own.find((row) => row.topic === topic && row.partition === partition && row.generation === generation)
    return !topics.has(topic) || (at?.position ?? 0) === position ? [] : [`${topic}/${partition}`]
  })
}
