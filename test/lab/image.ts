import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type Docker from 'dockerode'
import { run } from '../../src/system/exec.ts'
import { CACHE } from './engines.ts'

/** The image of the lab's containers: busybox, curl, dig, perl with the packet sender, iperf3, wrk, dnsperf and iodine. */
export const IMAGE = 'box:1'

const PROGRAMS = ['curl', 'dig', 'perl', 'iperf3', 'wrk', 'dnsperf', 'iodine']
/** glibc opens these by name, so no program names them. */
const RESOLVER_LIBRARIES = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']
const SENDER = fileURLToPath(new URL('sender.pl', import.meta.url))

export async function importImage(docker: Docker): Promise<void> {
  const tar = await imageTar()
  const progress = await docker.importImage(createReadStream(tar), {
    repo: 'box',
    tag: '1',
    changes: 'CMD ["sleep","infinity"]',
  })
  await new Promise((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve(undefined)))
  })
}

/** Built once, and again when this file, the sender or one of the programs changes. */
export async function imageTar(): Promise<string> {
  const programs = await Promise.all(['busybox', ...PROGRAMS].map(locate))
  const present = programs.filter((path) => path !== undefined)
  const hash = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .update(readFileSync(SENDER))
  for (const path of present) hash.update(`${path} ${statSync(path).size} ${statSync(path).mtimeMs}\n`)
  const tar = join(CACHE, 'images', `box-${hash.digest('hex').slice(0, 16)}.tar`)
  if (!existsSync(tar)) await build(tar, present)
  return tar
}

async function build(tar: string, programs: readonly string[]): Promise<void> {
  await mkdir(dirname(tar), { recursive: true })
  const root = await mkdtemp(join(dirname(tar), 'root-'))
  try {
    for (const folder of [
      'bin',
      'etc',
      'root',
      'tmp',
      'proc',
      'sys',
      'dev',
      'run',
      'var/tmp',
      'usr/local/bin',
    ]) {
      await mkdir(join(root, folder), { recursive: true })
    }
    await symlink('../bin', join(root, 'usr/bin'))
    // Where some programs look for what they call.
    await symlink('bin', join(root, 'sbin'))
    await writeFile(
      join(root, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
    )
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
    await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n')
    const libraries = new Set<string>()
    for (const program of programs) {
      const target = await realpath(program)
      await copyFile(target, join(root, 'bin', basename(program)))
      for (const library of await librariesOf(target)) libraries.add(library)
    }
    const folder = [...libraries].find((path) => basename(path) === 'libc.so.6')
    if (folder) for (const name of RESOLVER_LIBRARIES) libraries.add(join(dirname(folder), name))
    for (const library of libraries) {
      await mkdir(join(root, dirname(library)), { recursive: true })
      await copyFile(await realpath(library), join(root, library))
    }
    // Perl looks for its modules where Debian's perl-base puts them.
    const perlBase = dirname((await run(['perl', '-MSocket', '-e', 'print $INC{"Socket.pm"}'])).stdout)
    await mkdir(join(root, dirname(perlBase)), { recursive: true })
    await run(['cp', '-a', perlBase, join(root, perlBase)])
    await copyFile(SENDER, join(root, 'usr/local/bin/sender'))
    await run(['chmod', '0755', join(root, 'usr/local/bin/sender')])
    await run(['chmod', '1777', join(root, 'tmp'), join(root, 'var/tmp')])
    const applets = (await run(['busybox', '--list'])).stdout
      .split('\n')
      .filter((name) => name !== '' && name !== 'busybox')
    const links = applets.filter((name) => !existsSync(join(root, 'bin', name)))
    for (const name of links) await symlink('busybox', join(root, 'bin', name))
    await run(['tar', '-C', root, '--owner=0', '--group=0', '-cf', `${root}.tar`, '.'], { timeoutMs: 60_000 })
    for (const old of await readdir(dirname(tar)))
      if (/^box-.*\.tar$/.test(old)) await rm(join(dirname(tar), old))
    await rename(`${root}.tar`, tar)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function locate(program: string): Promise<string | undefined> {
  const { stdout, exitCode } = await run(['which', program], { okExitCodes: [1] })
  return exitCode === 0 ? stdout.trim() : undefined
}

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run(['ldd', program], { okExitCodes: [1] })
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap((match) => (match[1] === undefined ? [] : [match[1]]))
}
