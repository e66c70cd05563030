import type { Container } from './model.ts'

/**
 * The labels that somebody gave to the container itself. The engine shows those of its image among them, and an image could name itself into
 * a policy: what stands in the image with the same value counts for nothing. An image that nobody could look at makes every label doubtful.
 */
export function ownLabels({
  labels,
  imageLabels,
}: Pick<Container, 'labels' | 'imageLabels'>): Readonly<Record<string, string>> {
  if (imageLabels === undefined) return {}
  return Object.fromEntries(
    Object.entries(labels).filter(
      ([key, value]) => !Object.hasOwn(imageLabels, key) || imageLabels[key] !== value,
    ),
  )
}
