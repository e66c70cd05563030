import { closeSync } from 'node:fs'
import { errorOf, libcOrWhyNot, type Libc } from './libc.ts'
import { LineSession } from './line-session.ts'

/**
 * Groups of NFLOG that no packet is sent to. The kernel gives each to one socket at a time, only to processes with NET_ADMIN over the network namespace, and
 * takes it back when the socket closes. So it belongs to the namespace, as the rules do, however many containers or mount namespaces there are; it dies with
 * the process; and no other user can hold it, as anybody could a name in the abstract socket space or a file that he may open.
 */
export const LOCKS = { daemon: 25_965, proof: 25_966 } as const

export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError'
  constructor() {
    super('another embargod runs on this host (embargod status; `embargod cleanup --stop` ends it)')
  }
}

export interface Lock {
  release(): Promise<void>
}

/** Takes the lock until it is released or the process ends. Rejects with {@link AlreadyRunningError}. It needs NET_ADMIN: without it the kernel gives the same answer. */
export async function acquireLock(
  group: number = LOCKS.daemon,
  libc: Libc | Error = libcOrWhyNot(),
): Promise<Lock> {
  return libc instanceof Error ? holdByProcess(group) : holdHere(group, libc)
}

const AF_NETLINK = 16
const SOCK_RAW = 3
/** Tools that we start must not inherit it, since the lock lasts until the last process closes it. */
const SOCK_CLOEXEC = 0o2000000
const NETLINK_NETFILTER = 12
const MSG_DONTWAIT = 0x40

const MESSAGE_BYTES = 28
const ANSWER_BYTES = 4096

function holdHere(group: number, libc: Libc): Lock {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
  if (fd < 0) throw new Error('taking the lock', { cause: errorOf(libc, 'socket') })
  try {
    const message = bindMessage(group)
    if (libc.send(fd, message, message.length, 0) !== message.length)
      throw new Error('taking the lock', { cause: errorOf(libc, 'send') })
    const answer = Buffer.alloc(ANSWER_BYTES)
    // The kernel has answered when the call that sends the message returns.
    if (libc.recv(fd, answer, answer.length, MSG_DONTWAIT) < ACKNOWLEDGEMENT_BYTES)
      throw new Error('taking the lock', { cause: errorOf(libc, 'recv') })
    refuse(-answer.readInt32LE(16))
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { release: async () => closeSync(fd) }
}

/** An acknowledgement has the error number behind its header. */
const ACKNOWLEDGEMENT_BYTES = 20

/** `NFULNL_MSG_CONFIG` with `NFULNL_CFG_CMD_BIND`, as in linux/netfilter/nfnetlink_log.h, to be acknowledged. */
function bindMessage(group: number): Buffer {
  const message = Buffer.alloc(MESSAGE_BYTES)
  message.writeUInt32LE(MESSAGE_BYTES, 0)
  message.writeUInt16LE((4 << 8) | 1, 4)
  message.writeUInt16LE(0x1 | 0x4, 6)
  message.writeUInt32LE(1, 8)
  message.writeUInt16BE(group, 18)
  message.writeUInt16LE(5, 20)
  message.writeUInt16LE(1, 22)
  message.writeUInt8(1, 24)
  return message
}

const [EPERM, EBUSY, EINVAL, EOPNOTSUPP] = [1, 16, 22, 95]

function refuse(errno: number): void {
  if (errno === 0) return
  // The kernel answers EPERM when another process has the group, and EBUSY when this process has it already.
  if (errno === EPERM || errno === EBUSY) throw new AlreadyRunningError()
  const hint = errno === EINVAL || errno === EOPNOTSUPP ? ': modprobe nfnetlink_log' : ''
  throw new Error(`taking the lock: the kernel refuses it (error ${errno})${hint}`)
}

/** Where this process cannot speak to the kernel itself, another process takes the lock. It reads from us, so it ends with us. */
async function holdByProcess(group: number): Promise<Lock> {
  let released = false
  const session = new LineSession({
    argv: ['perl', '-e', HOLDER],
    marker: { question: 'end', answer: /^end$/m },
    // Somebody ended that process. Until it runs again another daemon could start.
    onEnd: () => {
      if (!released) setTimeout(() => void take().catch(() => undefined), RETAKE_MS).unref()
    },
  })
  const take = async (): Promise<void> => {
    const answer = await session.ask(String(group)).catch((cause: unknown) => {
      throw new Error('taking the lock: neither koffi.node nor perl does it: apt-get install perl-base', {
        cause,
      })
    })
    refuse(Number(answer))
  }
  const release = async (): Promise<void> => {
    released = true
    await session.close()
  }
  try {
    await take()
  } catch (error) {
    await release()
    throw error
  }
  return { release }
}

const RETAKE_MS = 1_000

/** The same message as {@link bindMessage}. */
const HOLDER = String.raw`
use strict; use warnings;
$| = 1;
socket my $kernel, 16, 3 | 02000000, 12 or die "netlink: $!\n";
while (my $line = <STDIN>) {
    if ($line eq "end\n") { print $line; next }
    chomp $line;
    my $body = pack 'C C n S S C x3', 0, 0, $line, 5, 1, 1;
    send $kernel, pack('L S S L L', 16 + length $body, 4 << 8 | 1, 5, 1, 0) . $body, 0 or die "netlink: $!\n";
    defined recv $kernel, my $answer, 4096, 0 or die "netlink: $!\n";
    print -unpack('x16 l', $answer), "\n";
}
`
