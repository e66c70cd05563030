import type { Family } from '../../net/types.ts'

/**
 * Programs in the kernel's old filter language, for what no match of iptables can compare. An address that lies behind the end of the packet
 * ends the program with 0, which does not match. Each instruction is `[code, jump if true, jump if false, operand]` (linux/filter.h).
 */
type Instruction = readonly [code: number, yes: number, no: number, operand: number]

const LOAD_WORD = 0x20
const LOAD_HALF = 0x28
const LOAD_BYTE = 0x30
const LOAD_WORD_INDEXED = 0x40
const HEADER_LENGTH_TO_X = 0xb1
const A_TO_X = 0x07
const EQUALS = 0x15
const EQUALS_X = 0x1d
const HAS_BITS = 0x45
const RETURN = 0x06

/** Offsets from here on count from the frame's own header (SKF_LL_OFF). */
const FRAME = 2 ** 32 - 0x20_0000

const YES: Instruction = [RETURN, 0, 0, 65_535]
const NO: Instruction = [RETURN, 0, 0, 0]

const program = (...instructions: readonly Instruction[]): string =>
  `${instructions.length},${instructions.map((one) => one.join(' ')).join(',')}`

/** Was the frame sent to 01:80:c2:00:00:00 to 01:80:c2:00:00:0f (IEEE 802.1Q, table 8-1)? */
export const RESERVED_FRAME = program(
  [LOAD_WORD, 0, 0, FRAME],
  [EQUALS, 0, 3, 0x0180_c200],
  [LOAD_HALF, 0, 0, FRAME + 4],
  [HAS_BITS, 1, 0, 0xfff0],
  YES,
  NO,
)

const ICMPV6 = 58
/** The quoted packet follows 8 bytes of ICMP; its destination is 16 (IPv4) or 24 bytes (IPv6) further. */
const QUOTED = { 4: 8 + 16, 6: 40 + 8 + 24 } as const
const SENDER = { 4: 12, 6: 8 } as const

/**
 * Was the packet that an ICMP error quotes sent to the address that the error comes from? Other errors are a router's, and no container is
 * one. In IPv6 nothing may stand between the headers: the kernel itself puts nothing there.
 */
export const QUOTES_OWN: Readonly<Record<Family, string>> = {
  4: program(
    [HEADER_LENGTH_TO_X, 0, 0, 0],
    [LOAD_WORD_INDEXED, 0, 0, QUOTED[4]],
    [A_TO_X, 0, 0, 0],
    [LOAD_WORD, 0, 0, SENDER[4]],
    [EQUALS_X, 0, 1, 0],
    YES,
    NO,
  ),
  6: program(
    [LOAD_BYTE, 0, 0, 6],
    [EQUALS, 0, 17, ICMPV6],
    ...[0, 4, 8, 12].flatMap((offset, index): Instruction[] => [
      [LOAD_WORD, 0, 0, QUOTED[6] + offset],
      [A_TO_X, 0, 0, 0],
      [LOAD_WORD, 0, 0, SENDER[6] + offset],
      [EQUALS_X, 0, 13 - 4 * index, 0],
    ]),
    YES,
    NO,
  ),
}
