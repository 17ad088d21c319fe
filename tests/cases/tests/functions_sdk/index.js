/** Asks for everything that the SDK of Greengrass v1 can be asked for, and answers with what it said. */

const { promisify } = require('util');
const GG = require('aws-greengrass-core-sdk');

const CALLEE = 'arn:aws:lambda:eu-west-1:123456789012:function:callee:3';
const CONTEXT = Buffer.from('{"custom": {"subject": "by hand"}}').toString('base64');

const iot = new GG.IotData();
const functions = new GG.Lambda();
const secrets = new GG.SecretsManager();

const asked = (client, method) => promisify(client[method].bind(client));

async function said(answer) {
    try {
        return await answer;
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
}

async function publish(topic, queueFullPolicy = 'AllOrError') {
    await asked(iot, 'publish')({ topic, payload: JSON.stringify({ on: topic }), queueFullPolicy });
    return 'published';
}

async function invoke(FunctionName, payload, InvocationType = 'RequestResponse') {
    const request = { FunctionName, InvocationType, Payload: JSON.stringify(payload), ClientContext: CONTEXT };
    const answer = await asked(functions, 'invoke')(request);
    return InvocationType === 'Event' ? ['', ''] : [answer.FunctionError, answer.Payload.toString()];
}

const shadow = async (method, request) => JSON.parse((await asked(iot, method)(request)).Payload);

exports.handler = async (event) => {
    const topic = `v1/${event.as}`;
    return {
        publish: await said(publish(`${topic}/to/callee`)),
        'publish locally': await said(publish(`${topic}/local`)),
        'publish to the cloud': await said(publish(`${topic}/cloud`)),
        'publish to nobody': await said(publish(`${topic}/nobody`)),
        'publish to a component': await said(publish(`${topic}/component`)),
        'publish to all or none': await said(publish(`${topic}/mixed`)),
        'publish to some': await said(publish(`${topic}/mixed`, 'BestEffort')),
        invoke: await said(invoke(CALLEE, [1])),
        'invoke by name': await said(invoke('com.example.Callee', 'ü')),
        'invoke what fails': await said(invoke(CALLEE, 'fail')),
        'invoke later': await said(invoke(CALLEE, { later: event.as }, 'Event')),
        'invoke without a right': await said(invoke('com.example.Secluded', 1)),
        'invoke nobody': await said(invoke('com.example.Nobody', 1)),
        'invoke another version': await said(invoke(CALLEE.replace(':3', ':4'), 1)),
        shadow: await said(shadow('getThingShadow', { thingName: 't' })),
        'shadow update': await said(shadow('updateThingShadow', { thingName: 't', payload: '{}' })),
        secret: await said(asked(secrets, 'getSecretValue')({ SecretId: 's' })),
    };
};
