import { run } from '../../src/system/exec.ts'

/** Where the machine itself gets Debian from: what tests fetch beside its packages comes from there too. */
export async function debianMirror(): Promise<string> {
  const format = '$(REPO_URI) $(COMPONENT) $(ORIGIN) $(LABEL)'
  const { stdout } = await run(['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'])
  const mirror = stdout.split('\n').find((line) => line.endsWith(' main Debian Debian'))
  if (mirror === undefined) throw new Error('apt knows no Debian archive (apt-get update may help)')
  return mirror.split(' ')[0] ?? ''
}
