"""Services that refuse with status 200: their URLs, what they then answer, and what they answer otherwise."""

from typing import NamedTuple

_A32 = "a" * 32


class Case(NamedTuple):
    """`{host}` in a URL is the stand-in's address. `says` is what a reader must be told."""

    url: str
    refused: str
    says: str
    accepted: str


CASES: dict[str, Case] = {
    "bark": Case(
        "bark://{host}/devicekey12",
        '{"code": 400, "message": "failed to get device token", "timestamp": 1}',
        "code 400 failed to get device token",
        '{"code": 200, "message": "success", "timestamp": 1}',
    ),
    "bulkvs": Case(
        "bulkvs://user:pass123@18005550100/18005550101",
        '{"RefId": "x", "Results": [{"To": "18005550101", "Status": "FAILED"}]}',
        "Status failed",
        '{"RefId": "x", "Results": [{"To": "18005550101", "Status": "SUCCESS"}]}',
    ),
    "burstsms": Case(
        "burstsms://apikey12345:secret12345@18005550100/18005550101",
        '{"error": {"code": "RECIPIENTS_ERROR", "description": "no valid recipients"}}',
        "no valid recipients",
        '{"message_id": 1, "error": {"code": "SUCCESS", "description": "OK"}}',
    ),
    "clickatell": Case(
        "clickatell://15551233467@apikey1234567890/15551234567",
        '{"messages": [{"accepted": false, "to": "1", "error": {"code": 7, "description": "Invalid destination"}}]}',
        "accepted false Invalid destination",
        '{"messages": [{"accepted": true, "to": "1", "error": null}], "error": null}',
    ),
    "clicksend": Case(
        "clicksend://user:pass12345@18005550101",
        '{"response_code": "SUCCESS", "response_msg": "x", "data": {"messages": [{"status": "INSUFFICIENT_CREDIT"}]}}',
        "status insufficient_credit",
        '{"response_code": "SUCCESS", "response_msg": "x", "data": {"messages": [{"status": "SUCCESS"}]}}',
    ),
    "dingtalk": Case(
        "dingtalk://" + "a" * 64,
        '{"errcode": 310000, "errmsg": "keywords not in content"}',
        "errcode 310000 keywords not in content",
        '{"errcode": 0, "errmsg": "ok"}',
    ),
    "fcm": Case(
        "fcm://apikey1234567890/device1234",
        '{"success": 0, "failure": 1, "results": [{"error": "NotRegistered"}]}',
        "NotRegistered",
        '{"success": 1, "failure": 0, "results": [{"message_id": "0:1"}]}',
    ),
    "feishu": Case(
        "feishu://abc123def456abc123def456abc12345/",
        '{"code": 19024, "msg": "Key Words Not Found", "data": {}}',
        "code 19024 Key Words Not Found",
        '{"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}',
    ),
    "fortysixelks": Case(
        "46elks://user:pass12345@+46700000000/+46700000001",
        '{"status": "failed", "id": "s1"}',
        "status failed",
        '{"status": "created", "id": "s1"}',
    ),
    "join": Case(
        f"join://{_A32}/{'d' * 32}",
        '{"success": false, "errorMessage": "User not authenticated"}',
        "User not authenticated",
        '{"success": true, "errorMessage": ""}',
    ),
    "kakaotalk": Case(
        f"kakaotalk://{_A32}/refreshtoken1234567890",
        '{"access_token": "t", "expires_in": 60, "result_code": -402, "msg": "no consent"}',
        "no consent",
        '{"access_token": "t", "expires_in": 60, "result_code": 0}',
    ),
    "kavenegar": Case(
        "kavenegar://apikey123456/18005550101",
        '{"return": {"status": 418, "message": "credit is not enough"}, "entries": null}',
        "status 418 credit is not enough",
        '{"return": {"status": 200, "message": "ok"}, "entries": []}',
    ),
    "kodi": Case(
        "kodi://{host}",
        '{"error": {"code": -32601, "message": "Method not found."}, "id": 1, "jsonrpc": "2.0"}',
        "Method not found.",
        '{"id": 1, "jsonrpc": "2.0", "result": "OK"}',
    ),
    "lark": Case(
        "lark://abc123de-4567-89ab-cdef-0123456789ab/",
        '{"code": 19001, "msg": "param invalid: incoming webhook access token invalid", "data": {}}',
        "incoming webhook access token invalid",
        '{"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}',
    ),
    "msg91": Case(
        f"msg91://{'a' * 23}@{'b' * 24}/15551234567",
        '{"message": "template id missing", "type": "error"}',
        "template id missing",
        '{"message": "3763646c3058373530393938", "type": "success"}',
    ),
    "notifiarr": Case(
        "notifiarr://apikey1234567/1234567",
        '{"result": "error", "details": {"response": "x", "message": "invalid channel"}}',
        "invalid channel",
        '{"result": "success", "details": {"response": "ok"}}',
    ),
    "one_signal": Case(
        "onesignal://appid@apikey1234/playerid1234",
        '{"id": "", "recipients": 0, "errors": ["All included players are not subscribed"]}',
        "All included players are not subscribed",
        '{"id": "b98881cc", "recipients": 1, "errors": {"invalid_player_ids": ["x"]}}',
    ),
    "postmark": Case(
        "postmark://from@example.org:server-token-1234/to@example.org",
        '{"ErrorCode": 406, "Message": "inactive recipient"}',
        "ErrorCode 406 inactive recipient",
        '{"ErrorCode": 0, "Message": "OK", "MessageID": "1"}',
    ),
    "pushdeer": Case(
        "pushdeer://{host}/" + "a" * 40,
        '{"code": 80501, "error": "argument error"}',
        "code 80501 argument error",
        '{"code": 0, "content": {"result": ["{\\"success\\":\\"ok\\"}"]}}',
    ),
    "pushed": Case(
        "pushed://appkey1234/appsecret1234",
        '{"error": {"type": "invalid_app", "message": "the app is not valid"}}',
        "the app is not valid",
        '{"response": {"type": "shipment_successfully_sent", "message": "sent"}}',
    ),
    "pushjet": Case(
        "pjet://{host}/secretkey1234",
        '{"error": {"id": 3, "message": "Invalid secret"}}',
        "Invalid secret",
        '{"status": "ok"}',
    ),
    "pushme": Case("pushme://abcdefgh12345", "push_key error", "push_key error", "success"),
    "pushover": Case(
        f"pover://{'u' * 30}@{'a' * 30}",
        '{"status": 0, "errors": ["user identifier is invalid"], "request": "x"}',
        "status 0 user identifier is invalid",
        '{"status": 1, "request": "x"}',
    ),
    "qq": Case(
        f"qq://{_A32}",
        '{"success": false, "reason": "the key is wrong", "code": 500, "info": {}}',
        "the key is wrong",
        '{"success": true, "reason": "ok", "code": 0, "info": {}}',
    ),
    "rocketchat": Case(
        f"rocket://{'a' * 20}/{'b' * 40}@{{host}}/%23general",
        '{"success": false, "error": "invalid-channel"}',
        "invalid-channel",
        '{"success": true}',
    ),
    "sendpulse": Case(
        "sendpulse://user@example.org/clientid1234/clientsecret1234/to@example.org",
        '{"access_token": "t", "expires_in": 3600, "result": false, "message": "sender is not valid"}',
        "sender is not valid",
        '{"access_token": "t", "expires_in": 3600, "result": true, "id": "1"}',
    ),
    "serverchan": Case(
        "schan://" + "A" * 20,
        '{"code": 40001, "message": "[AUTH] wrong key", "data": {"error": "AUTH"}}',
        "code 40001 [AUTH] wrong key",
        '{"code": 0, "message": "", "data": {"pushid": "1", "errno": 0, "error": "SUCCESS"}}',
    ),
    "seven": Case(
        "seven://apikey1234567/+15551234567",
        '{"success": "900", "messages": [{"error_text": "authentication failed"}]}',
        "success 900 authentication failed",
        '{"success": "100", "messages": [{"success": true, "error": null, "error_text": null}]}',
    ),
    "smtp2go": Case(
        "smtp2go://user@example.org/apikey12345678/to@example.org",
        '{"request_id": "x", "data": {"succeeded": 0, "failed": 1, "error": "sender domain not verified"}}',
        "failed 1 sender domain not verified",
        '{"request_id": "x", "data": {"succeeded": 1, "failed": 0, "failures": []}}',
    ),
    "sparkpost": Case(
        "sparkpost://user@example.org/apikey12345678/to@example.org",
        '{"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 0, "id": "1"}}',
        "total_rejected_recipients 1",
        '{"results": {"total_rejected_recipients": 0, "total_accepted_recipients": 1, "id": "1"}}',
    ),
    "splunk": Case(
        "splunk://routekey@aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        '{"result": "failure", "message": "unknown API key"}',
        "unknown API key",
        '{"result": "success", "entity_id": "x"}',
    ),
    "spugpush": Case(
        f"spugpush://{_A32}",
        '{"code": 404, "msg": "template not found"}',
        "code 404 template not found",
        '{"code": 200, "msg": "ok", "request_id": "x"}',
    ),
    "streamlabs": Case(
        "strmlabs://" + "a" * 40,
        '{"success": false, "message": "the account is locked"}',
        "the account is locked",
        '{"success": true}',
    ),
    "synology": Case(
        "synology://{host}/token1234",
        '{"error": {"code": 404, "errors": "the token is invalid"}, "success": false}',
        "the token is invalid",
        '{"data": {"succ": {}}, "success": true}',
    ),
    "techuluspush": Case(
        "push://12345678-1234-4234-8234-123456789012",
        '{"success": false, "message": "no devices"}',
        "no devices",
        '{"success": true, "message": "sent"}',
    ),
    "telegram": Case(
        "tgram://123456789:AAEhBOweik6ad6PsVMRxjeQKXkq8rLHJCQE/4242",
        '{"ok": false, "description": "Bad Request: chat not found"}',
        "chat not found",
        '{"ok": true, "result": {"message_id": 1}}',
    ),
    "vonage": Case(
        f"vonage://{'a' * 8}:{'b' * 16}@15551234567/15557654321",
        '{"message-count": "1", "messages": [{"status": "4", "error-text": "Bad Credentials"}]}',
        "status 4 Bad Credentials",
        '{"message-count": "1", "messages": [{"to": "1", "status": "0"}]}',
    ),
    "wecombot": Case(
        "wecombot://693axxx6-7aoc-4bc4-97a0-0ec2sifa5aaa",
        '{"errcode": 93000, "errmsg": "invalid webhook url"}',
        "errcode 93000 invalid webhook url",
        '{"errcode": 0, "errmsg": "ok"}',
    ),
    "zulip": Case(
        f"zulip://bot@org/{_A32}",
        '{"result": "error", "msg": "stream does not exist", "code": "STREAM_DOES_NOT_EXIST"}',
        "stream does not exist",
        '{"result": "success", "msg": "", "id": 1}',
    ),
}
