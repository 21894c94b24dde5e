import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, useId } from 'react'

type Around = { label: string; hint?: ReactNode; wrong?: string | null; hideLabel?: boolean }
type Wired = { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }

/** A label, a control, a hint, and what is wrong with it. `children` makes the control with the names that tie them together. */
export function Field({ label, hint, wrong, hideLabel, children }: Around & { children: (wired: Wired) => ReactNode }) {
  const id = useId()
  const said = [hint ? `${id}-hint` : '', wrong ? `${id}-wrong` : ''].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id} className={hideLabel ? 'unseen' : undefined}>{label}</label>
      {children({ id, ...(said ? { 'aria-describedby': said } : {}), ...(wrong ? { 'aria-invalid': true } : {}) })}
      {hint && <div id={`${id}-hint`} className="hint">{hint}</div>}
      {wrong && <div id={`${id}-wrong`} className="wrong" role="alert">{wrong}</div>}
    </div>
  )
}

export function TextField({ label, hint, wrong, hideLabel, className = '', ...rest }: Around & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Field label={label} hint={hint} wrong={wrong} hideLabel={hideLabel}>
      {(wired) => <input className={`input ${className}`} {...wired} {...rest} />}
    </Field>
  )
}

/** The browser's own select: it works with every keyboard, finger and screen reader. */
export function Select({ label, hint, wrong, hideLabel, options, ...rest }: Around & { options: { value: string; label: string }[] } & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <Field label={label} hint={hint} wrong={wrong} hideLabel={hideLabel}>
      {(wired) => (
        <select className="input" {...wired} {...rest}>
          {options.map((one) => <option key={one.value} value={one.value}>{one.label}</option>)}
        </select>
      )}
    </Field>
  )
}
