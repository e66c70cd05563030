/** The smallest `maxelem` of ours: what the kernel takes by default. */
const SMALLEST = 65_536

/** Twice what is needed, as a power of two: growing needs a new set and a swap, so it should be rare. */
export function maxelemFor(elements: number): number {
  let maxelem = SMALLEST
  while (maxelem < elements * 2) maxelem *= 2
  return maxelem
}
