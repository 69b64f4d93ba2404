import { useNavigate, useRouter } from '@tanstack/react-router';
import { useShortcuts } from '../shell/shortcuts.ts';
import { ItemView } from './ItemView.tsx';

export function ItemPage({ itemKey }: { itemKey: string }) {
  const navigate = useNavigate();
  const router = useRouter();
  useShortcuts({
    Escape: () => {
      // Back to where they came from; somebody who followed a link gets the board.
      if (router.history.canGoBack()) router.history.back();
      else void navigate({ to: '/p/$key/board', params: { key: itemKey.split('-')[0] ?? '' } });
    },
  });
  return <ItemView key={itemKey} itemKey={itemKey} mode="page" />;
}
