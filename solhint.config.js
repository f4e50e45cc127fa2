// solhint's recommended rules, and where this house differs, with the reason above each. script/analysis/style.mjs runs
// it, and fails on an exception without a reason or one that nothing needs any more.
module.exports = {
  extends: 'solhint:recommended',
  rules: {
    // one compiler for everything: lib/solc
    'compiler-version': ['error', '0.8.30'],
    'func-visibility': ['error', { ignoreConstructors: true }],
    // a deployment is a list of steps that reads best in one place
    'function-max-lines': ['warn', 60],
    // `forge doc` shows parameters by their names; @param where the name and type do not say everything
    'use-natspec': [
      'warn',
      {
        title: { enabled: true },
        author: { enabled: false },
        notice: { enabled: true },
        param: { enabled: false },
        return: { enabled: false },
      },
    ],

    // the optimizer writes ++i and i++ alike where the result is dropped, and the value is wanted where it is not
    'gas-increment-by-one': 'off',
    // the protocol fixes which fields its events index: what a reader filters by, not what is cheap
    'gas-indexed-events': 'off',
    // scripts print; their strings cost nobody gas
    'gas-small-strings': 'off',
    // "at its last second everything still passes" is the rule of every time here; 3 gas are not worth saying it otherwise
    'gas-strict-inequalities': 'off',
    // structs are in the order in which the protocol and readers name their fields; what is stored is packed by hand
    'gas-struct-packing': 'off',
    // it does not know foundry's remappings; the compiler finds an import that leads nowhere
    'import-path-check': 'off',
    // JSON is written in single quotes, so that its own need no escapes; forge fmt decides elsewhere
    quotes: 'off',
  },
};
