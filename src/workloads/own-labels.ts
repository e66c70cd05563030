import type { Container } from './model.ts'

export const COMPOSE_PROJECT = 'com.docker.compose.project'
export const COMPOSE_SERVICE = 'com.docker.compose.service'
/** On a container or a network: the policy that it asks for. */
export const POLICY_LABEL = 'embargod.policy'
/** Compose writes it on every container that it makes, and on no image. */
const COMPOSE_MARK = 'com.docker.compose.config-hash'

/**
 * The labels that somebody gave to the container itself. The engine shows those of its image among them, and an image could name itself into
 * a policy: what stands in the image with the same value counts for nothing. While the labels of the image are not known, no label of its containers counts.
 */
export function ownLabels({
  labels,
  imageLabels,
}: Pick<Container, 'labels' | 'imageLabels'>): Readonly<Record<string, string>> {
  if (imageLabels === undefined) return {}
  const isOwn = (key: string): boolean =>
    Object.hasOwn(labels, key) && (!Object.hasOwn(imageLabels, key) || imageLabels[key] !== labels[key])
  // What compose builds bears project and service too. On a container of compose they are compose's, whatever its image says.
  const isCompose = isOwn(COMPOSE_MARK)
  return Object.fromEntries(
    Object.entries(labels).filter(
      ([key]) => isOwn(key) || (isCompose && (key === COMPOSE_PROJECT || key === COMPOSE_SERVICE)),
    ),
  )
}
