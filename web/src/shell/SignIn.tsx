import { type FormEvent, useState } from 'react'
import { Button } from '../parts/Button'
import { TextField } from '../parts/Field'
import { asProblem } from '../parts/States'
import { words } from '../words'
import { Brand } from './Brand'
import { signIn } from './session'

const say = words.signIn

export function SignIn() {
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<string | null>(null)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const key = String(new FormData(event.currentTarget).get('key') ?? '').trim()
    if (!key) return setWrong(say.empty)
    setBusy(true)
    setWrong(null)
    try {
      await signIn(key)
    } catch (error) {
      const { message, hint } = asProblem(error)
      setWrong(`${message} ${hint}`)
    } finally {
      setBusy(false)
    }
  }
  return (
    <main className="signin">
      <title>{`${say.title} · ${words.product}`}</title>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Brand />
        <div><h1>{say.title}</h1><p className="sub">{say.text}</p></div>
        <TextField label={say.key} name="key" type="password" autoComplete="current-password" autoFocus spellCheck={false} hint={say.hint} wrong={wrong} />
        <Button type="submit" kind="primary" busy={busy}>{say.submit}</Button>
      </form>
    </main>
  )
}
