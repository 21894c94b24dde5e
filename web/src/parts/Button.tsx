import type { ButtonHTMLAttributes, ReactNode } from 'react'

type Props = ButtonHTMLAttributes<HTMLButtonElement> & { kind?: 'plain' | 'primary' | 'danger' | 'quiet'; small?: boolean; busy?: boolean; children: ReactNode }

/** A verb with its object: "Resume bulk". `busy`: it is being done, and cannot be asked for again meanwhile. */
export function Button({ kind = 'plain', small, busy, className = '', type = 'button', disabled, ...rest }: Props) {
  const names = ['btn', kind === 'plain' ? '' : kind, small ? 'small' : '', className].filter(Boolean).join(' ')
  return <button type={type} className={names} aria-busy={busy || undefined} disabled={disabled || busy} {...rest} />
}
