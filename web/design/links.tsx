/** Links inside a page bundle, in the look of Mantine's anchors and buttons. */
import { Anchor, type AnchorProps, Button, type ButtonProps } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

interface Target {
  readonly to: string;
  readonly params?: Record<string, string>;
  readonly search?: Record<string, unknown>;
  readonly children: ReactNode;
}

export function TextLink({ to, params, search, children, ...rest }: AnchorProps & Target) {
  return (
    <Anchor {...rest} renderRoot={(props) => <Link to={to} params={params} search={search} {...props} />}>
      {children}
    </Anchor>
  );
}

export function ButtonLink({ to, params, search, children, ...rest }: ButtonProps & Target) {
  return (
    <Button {...rest} renderRoot={(props) => <Link to={to} params={params} search={search} {...props} />}>
      {children}
    </Button>
  );
}
