import type { ReactNode } from 'react'

type Props = { title?: ReactNode; action?: ReactNode; className?: string; children: ReactNode; label?: string }

export function Card({ title, action, className = '', children, label }: Props) {
  return (
    <section className={`card ${className}`} aria-label={label ?? (typeof title === 'string' ? title : undefined)}>
      {(title || action) && (
        <div className="card-head">
          {title && <h2>{title}</h2>}
          {action}
        </div>
      )}
      {children}
    </section>
  )
}

/** The top of a page: its name or verdict, one line below it, and what can be done. It also names the browser's tab. */
export function PageHead({ title, tab, sub, children }: { title: ReactNode; tab: string; sub?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <title>{`${tab} · vidprocme`}</title>
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {sub && <p className="sub">{sub}</p>}
      </div>
      {children && <div className="btns">{children}</div>}
    </header>
  )
}
