import { PageHead } from '../parts/Card'
import { words } from '../words'

export default function Page() {
  return <PageHead title={words.video.title} tab={words.video.title} />
}
