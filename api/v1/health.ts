import { type Static, Type } from 'typebox'

/** The process answers. */
export const LiveResponse = Type.Object(
  { status: Type.Literal('live') },
  { $id: 'LiveResponse', description: 'The process answers.' },
)
export type LiveResponse = Static<typeof LiveResponse>

/** Which doors the configuration asks for, and which of them are open. */
export const ReadyResponse = Type.Object(
  {
    status: Type.Enum(['ready', 'not_ready'], {
      type: 'string',
      description: '`ready` when every door is open.',
    }),
    doors: Type.Array(
      Type.Object({
        door: Type.String({ examples: ['shim'] }),
        open: Type.Boolean(),
        reason: Type.Optional(
          Type.String({
            description: 'Why it is closed.',
            examples: ['the runtime at /run/containerd/containerd.sock does not answer'],
          }),
        ),
      }),
      { description: 'Every door that the configuration asks for.' },
    ),
  },
  { $id: 'ReadyResponse', description: 'Which doors are asked for, and which are open.' },
)
export type ReadyResponse = Static<typeof ReadyResponse>
