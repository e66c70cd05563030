import type { Backstop } from '../../dataplane/model.ts'

/** For a kernel that begins anew: the numbers of links change with a boot, so only names are left, and of Docker's own networks not even those. */
export const atBoot = (backstop: Backstop): Backstop => ({
  ...backstop,
  open: backstop.open.filter(({ isDocker }) => !isDocker).map((link) => ({ ...link, index: undefined })),
})

/** For a boot without a daemon yet, where nobody knows whose rules stand: it approves nothing, whatever they say. */
export const closedGuard = (backstop: Backstop): Backstop => ({ ...atBoot(backstop), closed: true })
