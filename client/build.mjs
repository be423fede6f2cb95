// Makes dist/: the bundles by esbuild, the types by tsc. usage: build.mjs [DIRECTORY of node_modules] [DIRECTORY to write to]

import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = resolve(process.argv[2] ?? join(here, 'node_modules'));
const out = resolve(process.argv[3] ?? join(here, 'dist'));
const require = createRequire(join(modules, 'x'));
const esbuild = require('esbuild');

const bundle = {
  absWorkingDir: here, nodePaths: [modules], bundle: true, minify: true, format: 'esm', target: 'es2022', outdir: out, logLevel: 'warning',
  mangleProps: /[^_]_$/, legalComments: 'none',
};

rmSync(out, { recursive: true, force: true });
let mangleCache = {};
// the first is what a page loads first; the next two it loads when it needs them, and they know the shortened names
for (const [name, external] of [
  ['nginx-await', ['./stream.js', './upload.js']], ['stream'], ['upload'],
]) {
  ({ mangleCache } = await esbuild.build({ ...bundle, entryPoints: [`src/${name}.ts`], external, mangleCache }));
}
for (const name of ['workflow', 'store', 'react', 'vue', 'tabs']) {
  await esbuild.build({
    ...bundle, mangleProps: undefined, entryPoints: [`src/${name}.ts`],
    external: ['./nginx-await.js', './workflow.js', './store.js', 'react', 'vue'],
  });
}
// react and vue are not beside the sources
const project = join(modules, '.tsconfig.json');
const at = (path) => [join(modules, path)];
writeFileSync(project, JSON.stringify({
  extends: join(here, 'tsconfig.json'), compilerOptions: { paths: { react: at('@types/react/index.d.ts'), vue: at('vue/dist/vue.d.mts') }, outDir: out }, include: [join(here, 'src')],
}));
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', project], { stdio: 'inherit' });
