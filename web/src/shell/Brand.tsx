import { Link } from '@tanstack/react-router'
import { words } from '../words'

/** Three stages of a strip. */
export function Brand() {
  return <Link to="/" className="brand"><i aria-hidden><b /><b /><b /></i>{words.product}</Link>
}
