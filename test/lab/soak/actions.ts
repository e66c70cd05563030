import { ANSWERS } from './answers.ts'
import type { Action } from './action.ts'
import { DISTURBED } from './disturbed.ts'
import { DOCKER } from './docker.ts'
import { RELOADS } from './reloads.ts'

/** All that may happen. */
export const ACTIONS: readonly Action[] = [...DOCKER, ...ANSWERS, ...RELOADS, ...DISTURBED]
