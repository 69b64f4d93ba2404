/**
 * Markdown that somebody else wrote: no HTML of theirs, links that give nothing away, and pictures of our own origin only
 * (a picture from elsewhere would tell its server who reads the item).
 */
import { Typography } from '@mantine/core';
import type { AnchorHTMLAttributes, ImgHTMLAttributes } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import classes from './Markdown.module.css';

export function Markdown({ text }: { text: string }) {
  return (
    <Typography className={classes.markdown}>
      <ReactMarkdown remarkPlugins={plugins} components={components} skipHtml>
        {text}
      </ReactMarkdown>
    </Typography>
  );
}

const plugins = [remarkGfm];

const components: Components = {
  a: ({ node: _node, ...props }) => <SafeLink {...props} />,
  img: ({ node: _node, ...props }) => <SafePicture {...props} />,
};

function SafeLink({ href, children }: AnchorHTMLAttributes<HTMLAnchorElement>) {
  const inside = href?.startsWith('#') || (href !== undefined && isSameOrigin(href));
  return (
    <a href={href} rel="noopener noreferrer" target={inside ? undefined : '_blank'}>
      {children}
    </a>
  );
}

function SafePicture({ src, alt }: ImgHTMLAttributes<HTMLImageElement>) {
  if (typeof src === 'string' && isSameOrigin(src)) return <img src={src} alt={alt ?? ''} loading="lazy" />;
  return (
    <SafeLink href={typeof src === 'string' ? src : undefined}>
      {alt ? `Picture: ${alt}` : 'Picture elsewhere'}
    </SafeLink>
  );
}

function isSameOrigin(address: string): boolean {
  try {
    return new URL(address, window.location.origin).origin === window.location.origin;
  } catch {
    return false;
  }
}
