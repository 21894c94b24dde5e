import { PageHead } from '../parts/Card'
import { words } from '../words'

export default function Page() {
  return <PageHead title={words.jobs.title} tab={words.jobs.title} />
}
