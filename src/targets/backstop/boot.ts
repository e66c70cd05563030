import type { Backstop } from '../../dataplane/model.ts'

/** For the next boot, when links have other numbers: links that are left alone are matched by name, and bridges of Docker's networks are not left alone at all. */
export const atBoot = (backstop: Backstop): Backstop => ({
  ...backstop,
  open: backstop.open.filter(({ isDocker }) => !isDocker).map((link) => ({ ...link, index: undefined })),
})

/** For a boot, until the daemon runs: some other program may have restored old rules of ours, so no approval counts. */
export const closedGuard = (backstop: Backstop): Backstop => ({ ...atBoot(backstop), closed: true })
