import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Problem } from '../api'
import { words } from '../words'
import { Button } from './Button'

/** The shape of what comes, while it comes. */
export function Skeleton({ height = 16, width = '100%', rows = 1 }: { height?: number; width?: number | string; rows?: number }) {
  return (
    <div aria-busy="true" style={{ display: 'grid', gap: 10 }}>
      <span className="unseen">{words.common.loading}</span>
      {Array.from({ length: rows }, (_, at) => <span key={at} className="skel" style={{ height, width }} />)}
    </div>
  )
}

/** There is nothing: what to do next, and the command line's way to do it. */
export function EmptyState({ title, text, command, children }: { title: string; text?: ReactNode; command?: string; children?: ReactNode }) {
  return (
    <div className="state">
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
      {command && <pre aria-label={words.common.fromCommandLine} tabIndex={0}>{command}</pre>}
    </div>
  )
}

export const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(0, 'PAGE_BROKEN', error instanceof Error ? error.message : String(error), '', ''))

/** What happened, why, what to do, and by which id the log knows it. */
export function ErrorState({ error, title = words.errors.title, again }: { error: unknown; title?: string; again?: () => void }) {
  const problem = asProblem(error)
  return (
    <div className="state" role="alert">
      <h2>{title}</h2>
      <p>{problem.message}</p>
      {problem.hint && <p>{problem.hint}</p>}
      {again && <Button onClick={again}>{words.common.retry}</Button>}
      <p className="meta"><code>{problem.code}</code>{problem.requestId && <> · <code>{words.common.requestId(problem.requestId)}</code></>}</p>
    </div>
  )
}

/** The same in one line, beside what was asked for. */
export function ErrorNote({ error, title = words.errors.action }: { error: unknown; title?: string }) {
  const problem = asProblem(error)
  return (
    <div className="note bad" role="alert">
      <span className="grow">
        <b>{title}.</b>{problem.message} {problem.hint}
        {problem.requestId && <span className="meta"> {words.common.requestId(problem.requestId)}</span>}
      </span>
    </div>
  )
}

/** What a question came to: its shape while it comes, the reason when it failed, and old data rather than none. */
export function Loaded<T>({ query, wait, children }: { query: UseQueryResult<T>; wait?: ReactNode; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.error) return <ErrorState error={query.error} again={() => void query.refetch()} />
  return <>{wait ?? <Skeleton rows={6} height={22} />}</>
}
