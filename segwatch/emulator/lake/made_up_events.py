"""What profiles that were made up did in the last 90 days: an SQL expression over what `population` knows of them."""

# Events are in the order of their times, one somewhere in each of `event_count` stretches; the newer ones are shorter.
# The last but one event of sam@example.org is a purchase two days ago.
EVENTS = """
CASE WHEN event_count > 0 THEN list_transform(
  list_transform(range(event_count), lambda i: {{
    'i': i,
    'at': CASE
      WHEN is_sam THEN $now - to_seconds(86400 * (1 + (event_count - 1 - i) * (event_count - 1 - i)))
      ELSE $now - to_seconds(90 * 86400 * pow(1 - (i + chance_at('when', _n, i)) / event_count, 1.3))
    END,
    'did': CASE
      WHEN is_sam AND i = event_count - 2 THEN 0.05
      ELSE chance_at('did', _n, i)
    END,
    'product': CAST(floor(40 * pow(chance_at('product', _n, i), 1.5)) AS INTEGER),
    'quantity': CAST(1 + floor(2.999 * pow(chance_at('quantity', _n, i), 4)) AS INTEGER)
  }}),
  lambda e: {{
    '_id': to_hex(hash(hash({seed}, 'event', _n, e.i))),
    'timestamp': e.at,
    'ingestTimestamp': least($now, e.at + to_seconds(3600 * pow(chance_at('late', _n, e.i), 3))),
    'eventType': CASE
      WHEN e.did < 0.08 THEN 'commerce.purchases' WHEN e.did < 0.22 THEN 'commerce.productListAdds'
      WHEN e.did < 0.36 THEN 'commerce.productViews' WHEN e.did < 0.43 THEN 'directMarketing.emailOpened'
      ELSE 'web.webpagedetails.pageViews'
    END,
    'web': CASE WHEN e.did < 0.36 OR e.did >= 0.43 THEN {{'webPageDetails': {{
      'name': CASE
        WHEN e.did < 0.08 THEN 'Order confirmation' WHEN e.did < 0.22 THEN 'Basket' WHEN e.did < 0.36 THEN 'Product'
        WHEN e.did < 0.7 THEN 'Home' WHEN e.did < 0.9 THEN 'Category' ELSE 'Help'
      END,
      'URL': 'https://shop.example.com' || CASE
        WHEN e.did < 0.08 THEN '/order/done' WHEN e.did < 0.22 THEN '/basket'
        WHEN e.did < 0.36 THEN '/product/' || e.product WHEN e.did < 0.7 THEN '/'
        WHEN e.did < 0.9 THEN '/category/' || (e.product // 10) ELSE '/help'
      END,
      'pageViews': {{'value': 1::DOUBLE}}
    }}}} END,
    'commerce': CASE WHEN e.did < 0.22 THEN {{
      'purchases': CASE WHEN e.did < 0.08 THEN {{'value': 1::DOUBLE}} END,
      'productListAdds': CASE WHEN e.did >= 0.08 THEN {{'value': 1::DOUBLE}} END,
      'order': CASE WHEN e.did < 0.08 THEN {{
        'priceTotal': CAST(e.quantity * (5 + (e.product * 37) % 140) + 0.95 AS DOUBLE),
        'currencyCode': CASE country WHEN 'US' THEN 'USD' WHEN 'GB' THEN 'GBP' WHEN 'SE' THEN 'SEK' ELSE 'EUR' END,
        'purchaseID': 'P' || _n || '-' || e.i
      }} END
    }} END,
    'productListItems': CASE WHEN e.did < 0.36 THEN [{{
      'SKU': 'SKU-' || lpad(CAST(e.product AS VARCHAR), 3, '0'),
      'name': one_of(['Shoe', 'Jacket', 'Bottle', 'Lamp'], e.product / 40)
        || ' ' || one_of(['Aster', 'Birch', 'Cedar', 'Dune', 'Ember'], (e.product % 5) / 5),
      'quantity': e.quantity,
      'priceTotal': CAST(e.quantity * (5 + (e.product * 37) % 140) + 0.95 AS DOUBLE)
    }}] END,
    'device': {{'type': CASE
      WHEN e.did >= 0.43 AND e.did < 0.45 THEN 'tablet'
      WHEN chance('device', _n) < 0.75 - 0.006 * (year($today) - year(born)) + 0.15 THEN 'mobile' ELSE 'desktop'
    END}},
    -- a mail is opened somewhere else
    'environment': CASE WHEN e.did < 0.36 OR e.did >= 0.43 THEN {{'browserDetails': {{
      'name': one_of(['Chrome', 'Chrome', 'Chrome', 'Safari', 'Safari', 'Firefox', 'Edge'], chance('browser', _n)),
      'version': one_of(['140.0', '141.0', '142.0', '143.0'], sqrt((e.i + chance('updates', _n)) / (event_count + 1)))
    }}}} END
  }}
) END"""
